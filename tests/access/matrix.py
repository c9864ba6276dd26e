"""Who gets which answer at which address: the one table, written by hand and never computed from the policy.

HOW TO ADD A ROW. One line: method, URL name, an answer per column. `GET` and `POST` each need a row; `ANY` is both.
The columns are four people of the participant's site (coordinator, investigator, imaging assessor, monitor), five with
a role for the whole trial (data manager, statistician, custodian, administrator, monitoring board), the first four of
another site, one without any membership in force (an outsider; one whose role ended yesterday; one whose role begins
tomorrow), and one who is not logged in. An answer is an HTTP status; `log` is the redirect to the log-in page.

A POST row is a form without any answer: 422 (or 200 where the form is Django's own) says that the person was let in
and the form was looked at; 403 and 404 say that the right was refused before anybody looked at the form. What an
address needs in its path beside the participant's code stands in PATHS, what a POST must carry to be understood in
POSTED. A name may have a variant behind a colon, and "?" in PATHS is what follows the question mark.

`AFTER_LOCK` holds the rows that differ once the trial was locked for the first time, which ends the statistician's
masking (D11); the rest stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.world import World

#: The accounts of `tests/world.py` behind each column; several must get the same answer.
COLUMNS: dict[str, tuple[str, ...]] = {
    "coordinator": ("coordinator_a",),
    "investigator": ("investigator_a",),
    "assessor": ("assessor_a",),
    "monitor": ("monitor_a",),
    "data manager": ("data_manager",),
    "statistician": ("statistician",),
    "custodian": ("custodian",),
    "administrator": ("administrator",),
    "board": ("board",),
    "coordinator elsewhere": ("coordinator_b",),
    "investigator elsewhere": ("investigator_b",),
    "assessor elsewhere": ("assessor_b",),
    "monitor elsewhere": ("monitor_b",),
    "no membership": ("outsider", "ended", "future"),
    "logged out": ("",),
}

TABLE = """
#                          own site         whole trial          other site       none  out
#                          co  in  as  mo   dm  st  cu  ad  bo   co  in  as  mo

# --- everybody ---
GET  home                  302 302 302 302  302 302 302 302 302  302 302 302 302  403   log
POST home                  302 302 302 302  302 302 302 302 302  302 302 302 302  403   log
ANY  health                200 200 200 200  200 200 200 200 200  200 200 200 200  200   200
GET  login                 302 302 302 302  302 302 302 302 302  302 302 302 302  302   200
POST login                 302 302 302 302  302 302 302 302 302  302 302 302 302  302   200
GET  logout                405 405 405 405  405 405 405 405 405  405 405 405 405  405   405
GET  login_renew           200 200 200 200  200 200 200 200 200  200 200 200 200  200   200
POST login_renew           409 409 409 409  409 409 409 409 409  409 409 409 409  409   422
POST logout                302 302 302 302  302 302 302 302 302  302 302 302 302  302   302
ANY  password_change       200 200 200 200  200 200 200 200 200  200 200 200 200  200   log
GET  password_change_done  200 200 200 200  200 200 200 200 200  200 200 200 200  200   log
POST password_change_done  405 405 405 405  405 405 405 405 405  405 405 405 405  405   log
ANY  login_code            302 302 302 302  302 302 302 302 302  302 302 302 302  302   302
ANY  login_passkey         302 302 302 302  302 302 302 302 302  302 302 302 302  302   302
ANY  session_state         200 200 200 200  200 200 200 200 200  200 200 200 200  200   200
GET  my_account            200 200 200 200  200 200 200 200 200  200 200 200 200  200   log
POST my_account            405 405 405 405  405 405 405 405 405  405 405 405 405  405   log
GET  second_factor         200 200 200 200  200 200 200 200 200  200 200 200 200  200   log
POST second_factor         405 405 405 405  405 405 405 405 405  405 405 405 405  405   log
GET  second_factor_app     200 200 200 200  200 200 200 200 200  200 200 200 200  200   log
POST second_factor_app     422 422 422 422  422 422 422 422 422  422 422 422 422  422   log
ANY  second_factor_codes   302 302 302 302  302 302 302 302 302  302 302 302 302  302   log
ANY  second_factor_passkey 302 302 302 302  302 302 302 302 302  302 302 302 302  302   log
ANY  second_factor_remove  302 302 302 302  302 302 302 302 302  302 302 302 302  302   log
GET  passkey_options       403 403 403 403  403 403 403 403 403  403 403 403 403  403   log
POST passkey_options       405 405 405 405  405 405 405 405 405  405 405 405 405  405   log
ANY  set_language          302 302 302 302  302 302 302 302 302  302 302 302 302  302   302
GET  choose_site           405 405 405 405  405 405 405 405 405  405 405 405 405  405   log
POST choose_site           302 302 302 302  302 302 302 302 302  302 302 302 302  302   log

# --- administration ---
ANY  accounts              403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
GET  account_new           403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST account_new           403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
ANY  account               403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
GET  account_edit          403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST account_edit          403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  account_password      403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST account_password      403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  membership_new        403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST membership_new        403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  membership_end        403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST membership_end        403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  account_unlock        403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST account_unlock        403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  account_second_factor 403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST account_second_factor 403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  membership_training   403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST membership_training   403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  access_review         403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST access_review         403 403 403 403  403 403 403 302 403  403 403 403 403  403   log
GET  access_now_csv        403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST access_now_csv        403 403 403 403  403 403 403 405 403  403 403 403 403  403   log
GET  access_review_detail  403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST access_review_detail  403 403 403 403  403 403 403 405 403  403 403 403 403  403   log
GET  access_review_csv     403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST access_review_csv     403 403 403 403  403 403 403 405 403  403 403 403 403  403   log
GET  site_new              403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST site_new              403 403 403 403  403 403 403 422 403  403 403 403 403  403   log
GET  site_edit             403 403 403 403  403 403 403 200 403  403 403 403 403  403   log
POST site_edit             403 403 403 403  403 403 403 422 403  403 403 403 403  403   log

# --- participants ---
GET  subject_new           200 200 403 403  403 403 403 403 403  200 200 403 403  403   log
POST subject_new           422 422 403 403  403 403 403 403 403  422 422 403 403  403   log
ANY  subject               200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
GET  contact               200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST contact               422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  contact_purge         403 200 403 403  403 403 403 403 403  403 404 403 403  403   log
POST contact_purge         403 422 403 403  403 403 403 403 403  403 404 403 403  403   log
GET  personal_data         200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST personal_data         422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  eligibility           200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
POST eligibility           403 422 403 403  403 403 403 403 403  404 404 404 404  403   log
ANY  adverse_events        200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
GET  sae_reports           200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
POST sae_reports           405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
GET  sae_sign              403 200 403 403  403 403 403 403 403  403 404 403 403  403   log
POST sae_sign              403 422 403 403  403 403 403 403 403  403 404 403 403  403   log
GET  sae_sending           200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST sae_sending           302 302 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  sae_miss              200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST sae_miss              422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  sae_pdf               200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
POST sae_pdf               405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
GET  sae_csv               200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
POST sae_csv               405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
GET  sae_reconciliation    200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST sae_reconciliation    405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  ctcae_expected        200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
POST ctcae_expected        405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
ANY  ctcae_search          200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  drug_search           200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  analgesics_live       200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
ANY  ctcae                 200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  ctcae_guide           200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  ctcae_term            200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
GET  ctcae_load            403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST ctcae_load            403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  coding                403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST coding                403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
GET  coding_exact          403 403 403 403  302 403 403 403 403  403 403 403 403  403   log
POST coding_exact          403 403 403 403  302 403 403 403 403  403 403 403 403  403   log
GET  coding_event          403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST coding_event          403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  meddra                403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST meddra                403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  meddra_import         403 403 403 403  404 403 403 403 403  403 403 403 403  403   log
POST meddra_import         403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
GET  meddra_force          403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
POST meddra_force          403 403 403 403  404 403 403 403 403  403 403 403 403  403   log
ANY  meddra_changes        403 403 403 403  302 403 403 403 403  403 403 403 403  403   log
GET  safety                200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST safety                405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  safety:arm            200 200 403 200  200 403 403 403 403  200 200 403 200  403   log
GET  safety_participants   200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST safety_participants   405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  safety_listing        200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST safety_listing        405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  ae_narrative          200 200 403 200  200 200 403 403 403  404 404 403 404  403   log
POST ae_narrative          405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  questionnaire_link    200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST questionnaire_link    422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  questionnaire_slip    302 302 403 403  403 403 403 403 403  404 404 403 403  403   log
POST questionnaire_slip    405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
ANY  questionnaire         404 404 404 404  404 404 404 404 404  404 404 404 404  404   404
ANY  questionnaire_step    404 404 404 404  404 404 404 404 404  404 404 404 404  404   404
ANY  questionnaire_body    404 404 404 404  404 404 404 404 404  404 404 404 404  404   404
ANY  messages              200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
GET  message_stop          200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST message_stop          422 422 403 403  403 403 403 403 403  404 404 403 403  403   log

# --- forms ---
ANY  crf                   200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
GET  crf_edit              200 200 403 403  403 403 403 403 403  404 404 404 404  403   log
POST crf_edit              422 422 403 403  403 403 403 403 403  404 404 404 404  403   log
GET  draft                 405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
POST draft                 200 200 403 403  403 403 403 403 403  404 404 404 404  403   log
GET  draft_discard         405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
POST draft_discard         302 302 403 403  403 403 403 403 403  404 404 404 404  403   log
GET  crf_edit:imaging      200 200 200 403  403 403 403 403 403  404 404 404 404  403   log
POST crf_edit:imaging      422 422 422 403  403 403 403 403 403  404 404 404 404  403   log
GET  unscheduled           302 302 403 403  403 403 403 403 403  404 404 404 404  403   log
POST unscheduled           405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
GET  unscheduled:imaging   302 302 302 403  403 403 403 403 403  404 404 404 404  403   log
POST unscheduled:imaging   405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
ANY  crf:arm               302 302 302 302  302 302 403 403 403  404 404 404 404  403   log
ANY  crf_answers           200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
ANY  crf_answers:arm       200 200 403 200  200 403 403 403 403  404 404 404 404  403   log
ANY  record_history        200 200 403 200  200 403 403 403 403  404 404 403 404  403   log
ANY  record_history:arm    200 200 403 200  200 403 403 403 403  404 404 403 404  403   log
GET  query_new             403 403 403 200  200 403 403 403 403  403 403 403 404  403   log
POST query_new             403 403 403 422  422 403 403 403 403  403 403 403 404  403   log

# --- freezing parts, and the site's own copy ---
GET  freeze_subject        403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST freeze_subject        403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  freeze_event          403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST freeze_event          403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  freeze_form           403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST freeze_form           403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  freeze_lift           403 403 403 403  200 403 403 403 403  403 403 403 403  403   log
POST freeze_lift           403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  casebook_pdf          200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST casebook_pdf          405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
GET  site_file             302 302 403 403  403 403 403 403 403  302 302 403 403  403   log
POST site_file             405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
GET  site_file_of          200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST site_file_of          405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
GET  site_data             200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST site_data             405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
GET  site_casebooks        200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST site_casebooks        405 405 403 403  403 403 403 403 403  405 405 403 403  403   log

# --- allocation and what shows it ---
GET  randomize             302 302 403 403  403 403 403 403 403  404 404 403 403  403   log
POST randomize             302 302 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  randomize:ready       200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST randomize:ready       422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
ANY  allocation            200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
ANY  allocation_slip       200 200 403 200  200 403 403 403 403  404 404 403 404  403   log
ANY  radiotherapy          200 200 403 200  200 403 403 403 403  404 404 404 404  403   log
GET  radiotherapy_edit     200 200 403 403  403 403 403 403 403  404 404 403 403  403   log
POST radiotherapy_edit     422 422 403 403  403 403 403 403 403  404 404 403 403  403   log
GET  fraction_new          405 405 403 403  403 403 403 403 403  405 405 403 403  403   log
POST fraction_new          422 422 403 403  403 403 403 403 403  404 404 403 403  403   log

# --- lists ---
ANY  lists                 403 403 403 403  403 403 200 403 403  403 403 403 403  403   log
GET  list_generate         403 403 403 403  403 403 200 403 403  403 403 403 403  403   log
POST list_generate         403 403 403 403  403 403 422 403 403  403 403 403 403  403   log
GET  list_import           403 403 403 403  403 403 200 403 403  403 403 403 403  403   log
POST list_import           403 403 403 403  403 403 422 403 403  403 403 403 403  403   log
ANY  list_seals            200 200 200 200  200 200 200 200 200  200 200 200 200  403   log
ANY  list_detail           403 403 403 403  403 403 200 403 403  403 403 403 403  403   log
GET  list_seal             403 403 403 403  403 403 405 403 403  403 403 403 403  403   log
POST list_seal             403 403 403 403  403 403 422 403 403  403 403 403 403  403   log
GET  list_discard          403 403 403 403  403 403 405 403 403  403 403 403 403  403   log
POST list_discard          403 403 403 403  403 403 422 403 403  403 403 403 403  403   log
GET  list_withdraw         403 403 403 403  403 403 405 403 403  403 403 403 403  403   log
POST list_withdraw         403 403 403 403  403 403 422 403 403  403 403 403 403  403   log
GET  list_verify           403 403 403 403  403 403 405 403 403  403 403 403 403  403   log
POST list_verify           403 403 403 403  403 403 302 403 403  403 403 403 403  403   log
GET  list_open             403 403 403 403  403 403 405 403 403  403 403 403 403  403   log
POST list_open             403 403 403 403  403 403 302 403 403  403 403 403 403  403   log

# --- overviews and queries ---
ANY  worklist              200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  matrix                200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
ANY  queries               200 200 403 200  200 403 403 403 403  200 200 403 200  403   log
GET  query                 200 200 403 200  200 403 403 403 403  404 404 403 404  403   log
POST query                 422 422 403 403  403 403 403 403 403  404 404 403 404  403   log
POST query:close           403 403 403 422  422 403 403 403 403  404 404 403 404  403   log
POST query:cancel          403 403 403 422  422 403 403 403 403  404 404 403 404  403   log
GET  query_field           302 302 403 302  302 403 403 403 403  404 404 403 404  403   log
POST query_field           405 405 403 405  405 403 403 403 403  405 405 403 405  403   log
GET  query_next            302 302 403 302  302 403 403 403 403  302 302 403 302  403   log
POST query_next            405 405 403 405  405 403 403 403 403  405 405 403 405  403   log
GET  queries_close         403 403 403 405  405 403 403 403 403  403 403 403 405  403   log
POST queries_close         403 403 403 422  422 403 403 403 403  403 403 403 422  403   log
GET  query_listing         403 403 403 200  200 403 403 403 403  403 403 403 200  403   log
POST query_listing         403 403 403 200  200 403 403 403 403  403 403 403 200  403   log
GET  query_metrics         403 403 403 200  200 403 403 403 403  403 403 403 200  403   log
POST query_metrics         403 403 403 405  405 403 403 403 403  403 403 403 405  403   log
GET  query_metrics_csv     403 403 403 200  200 403 403 403 403  403 403 403 200  403   log
POST query_metrics_csv     403 403 403 405  405 403 403 403 403  403 403 403 405  403   log

# --- verification, signature, freeze ---
GET  sdv                   200 200 403 200  200 403 403 403 403  200 200 403 200  403   log
POST sdv                   405 405 403 405  405 403 403 403 403  405 405 403 405  403   log
GET  verify                403 403 403 405  403 403 403 403 403  403 403 403 405  403   log
POST verify                403 403 403 302  403 403 403 403 403  403 403 403 404  403   log
POST verify:arm            403 403 403 302  403 403 403 403 403  403 403 403 404  403   log
GET  unverify              403 403 403 200  403 403 403 403 403  403 403 403 404  403   log
POST unverify              403 403 403 422  403 403 403 403 403  403 403 403 404  403   log
GET  signing               403 200 403 403  403 403 403 403 403  403 200 403 403  403   log
POST signing               403 405 403 403  403 403 403 403 403  403 405 403 403  403   log
GET  sign                  403 200 403 403  403 403 403 403 403  403 404 403 403  403   log
POST sign                  403 422 403 403  403 403 403 403 403  403 404 403 403  403   log
GET  signatures            200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
POST signatures            405 405 405 405  405 405 403 403 403  405 405 405 405  403   log

# --- audit trail, the site's own copy ---
GET  audit_trail           200 200 403 200  200 403 403 200 403  200 200 403 200  403   log
POST audit_trail           405 405 403 405  405 403 403 405 403  405 405 403 405  403   log
GET  audit_csv             200 200 403 200  200 403 403 200 403  200 200 403 200  403   log
POST audit_csv             405 405 403 405  405 403 403 405 403  405 405 403 405  403   log
GET  sign_off              403 200 403 200  200 200 403 403 403  403 200 403 200  403   log
POST sign_off              403 405 403 405  405 405 403 403 403  403 405 403 405  403   log
GET  sign_off_csv          403 200 403 200  200 200 403 403 403  403 200 403 200  403   log
POST sign_off_csv          403 405 403 405  405 405 403 403 403  403 405 403 405  403   log

# --- how the trial runs ---
ANY  response              200 200 200 200  200 200 403 403 403  404 404 404 404  403   log
GET  factors               200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST factors               405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  dashboard             200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
GET  dashboard:arm         200 200 403 200  200 403 403 403 403  200 200 403 200  403   log
POST dashboard             405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  flow                  200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST flow                  405 405 403 405  405 405 403 403 403  405 405 403 405  403   log
GET  coming                200 200 200 200  200 200 403 403 403  200 200 200 200  403   log
POST coming                405 405 405 405  405 405 403 403 403  405 405 405 405  403   log
GET  calendar              404 404 404 404  404 404 404 404 404  404 404 404 404  404   404
POST calendar              405 405 405 405  405 405 405 405 405  405 405 405 405  405   405
GET  calendar_site         404 404 404 404  404 404 404 404 404  404 404 404 404  404   404
POST calendar_site         405 405 405 405  405 405 405 405 405  405 405 405 405  405   405

# --- the whole trial ---
GET  trial                 403 403 403 403  200 200 403 403 403  403 403 403 403  403   log
POST trial                 403 403 403 403  405 405 403 403 403  403 403 403 403  403   log
GET  open_points_csv       403 403 403 403  200 200 403 403 403  403 403 403 403  403   log
POST open_points_csv       403 403 403 403  405 405 403 403 403  403 403 403 403  403   log
GET  trial_freeze          403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
POST trial_freeze          403 403 403 403  422 403 403 403 403  403 403 403 403  403   log
GET  trial_unfreeze        403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
POST trial_unfreeze        403 403 403 403  302 403 403 403 403  403 403 403 403  403   log
GET  trial_lock            403 403 403 403  403 405 403 403 403  403 403 403 403  403   log
POST trial_lock            403 403 403 403  403 302 403 403 403  403 403 403 403  403   log
GET  trial_unlock          403 403 403 403  405 403 403 403 403  403 403 403 403  403   log
POST trial_unlock          403 403 403 403  302 403 403 403 403  403 403 403 403  403   log
GET  data_versions         403 403 403 403  200 200 403 403 403  403 403 403 403  403   log
POST data_versions         403 403 403 403  405 405 403 403 403  403 403 403 403  403   log
GET  data_version          403 403 403 403  404 403 403 403 403  403 403 403 403  403   log
POST data_version          403 403 403 403  405 405 403 403 403  403 403 403 403  403   log
GET  export_zip            403 403 403 403  404 403 403 403 403  403 403 403 403  403   log
POST export_zip            403 403 403 403  405 405 403 403 403  403 403 403 403  403   log
GET  report                403 403 403 403  403 200 403 403 200  403 403 403 403  403   log
POST report                403 403 403 403  403 405 403 403 405  403 403 403 403  403   log
GET  report_make           403 403 403 403  403 405 403 403 405  403 403 403 403  403   log
POST report_make           403 403 403 403  403 422 403 403 422  403 403 403 403  403   log
GET  report_made           403 403 403 403  403 404 403 403 404  403 403 403 403  403   log
POST report_made           403 403 403 403  403 405 403 403 405  403 403 403 403  403   log
GET  report_pdf            403 403 403 403  403 404 403 403 404  403 403 403 403  403   log
POST report_pdf            403 403 403 403  403 405 403 403 405  403 403 403 403  403   log
GET  design                403 200 403 403  200 200 403 403 403  403 200 403 403  403   log
POST design                403 405 403 403  405 405 403 403 403  403 405 403 403  403   log
GET  design_simulate       403 405 403 403  405 405 403 403 403  403 405 403 403  403   log
POST design_simulate       403 422 403 403  422 422 403 403 403  403 422 403 403  403   log
GET  design_simulation     403 404 403 403  404 404 403 403 403  403 404 403 403  403   log
POST design_simulation     403 405 403 403  405 405 403 403 403  403 405 403 403  403   log
GET  examples              403 200 403 200  200 200 403 403 403  403 200 403 200  403   log
POST examples              403 405 403 405  405 405 403 403 403  403 405 403 405  403   log
"""

AFTER_LOCK = """
#                          own site         whole trial          other site       none  out
#                          co  in  as  mo   dm  st  cu  ad  bo   co  in  as  mo
GET  data_version          403 403 403 403  200 200 403 403 403  403 403 403 403  403   log
GET  export_zip            403 403 403 403  200 200 403 403 403  403 403 403 403  403   log
ANY  allocation_slip       200 200 403 200  200 200 403 403 403  404 404 403 404  403   log
ANY  radiotherapy          200 200 403 200  200 200 403 403 403  404 404 404 404  403   log
GET  dashboard:arm         200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
GET  safety:arm            200 200 403 200  200 200 403 403 403  200 200 403 200  403   log
POST list_open             403 403 403 403  403 403 200 403 403  403 403 403 403  403   log
ANY  crf_answers:arm       200 200 403 200  200 200 403 403 403  404 404 404 404  403   log
"""

#: What each address needs in its path beside `code`, the participant's; by URL name, or name:variant.
PATHS: dict[str, Callable[[World], Mapping[str, Any]]] = {
    "coding_event": lambda w: {"pk": w.event.pk},
    "meddra_import": lambda w: {"pk": 1},
    "design_simulation": lambda w: {"pk": 1},
    "meddra_force": lambda w: {"pk": 1},
    "sae_reports": lambda w: {"pk": w.event.pk},
    "sae_sign": lambda w: {"pk": w.event.pk},
    "sae_sending": lambda w: {"pk": w.event.pk, "number": 1},
    "sae_miss": lambda w: {"pk": w.event.pk, "clock": "SPONSOR"},
    "sae_pdf": lambda w: {"pk": w.event.pk, "number": 1},
    "sae_csv": lambda w: {"pk": w.event.pk, "number": 1},
    "account": lambda w: {"pk": w.people["coordinator_b"].pk},
    "account_edit": lambda w: {"pk": w.people["coordinator_b"].pk},
    "account_password": lambda w: {"pk": w.people["coordinator_b"].pk},
    "membership_new": lambda w: {"pk": w.people["coordinator_b"].pk},
    "membership_end": lambda w: {"pk": w.membership.pk},
    "account_unlock": lambda w: {"pk": w.people["locked_out"].pk},
    "account_second_factor": lambda w: {"pk": w.people["locked_out"].pk},
    "membership_training": lambda w: {"pk": w.membership.pk},
    "access_review_detail": lambda w: {"pk": w.review.pk},
    "access_review_csv": lambda w: {"pk": w.review.pk},
    "ctcae_guide": lambda w: {"?": "value=10016256"},
    "ctcae_term": lambda w: {"code": "10016256"},
    "safety:arm": lambda w: {"?": "by=arm"},
    "dashboard:arm": lambda w: {"?": "by=arm"},
    "safety_participants": lambda w: {"?": "show=any"},
    "ae_narrative": lambda w: {"pk": w.event.pk},
    "draft": lambda w: {"spec_code": "P.DM", "key": "form"},
    "draft_discard": lambda w: {"spec_code": "P.DM", "key": "form"},
    "site_edit": lambda w: {"code": "NK"},
    "message_stop": lambda w: {"pk": w.message.pk},
    "response": lambda w: {"event": "W2"},
    "analgesics_live": lambda w: {"event": "W2"},
    "crf": lambda w: {"spec_code": "P.DM", "key": "form"},
    "crf:arm": lambda w: {"spec_code": "R.RT", "key": "form"},
    "crf_answers": lambda w: {"spec_code": "P.DM", "key": "form"},
    "crf_answers:arm": lambda w: {"spec_code": "R.RT", "key": "form"},
    "verify": lambda w: {"spec_code": w.query.spec_code, "pk": w.query.record_id},
    "unverify": lambda w: {"spec_code": w.query.spec_code, "pk": w.query.record_id, "item": w.query.item},
    "flow": lambda w: {"key": "randomised"},
    "questionnaire_link": lambda w: {"event": "W2"},
    "questionnaire_slip": lambda w: {"event": "W2"},
    "questionnaire": lambda w: {"token": "forged"},
    "questionnaire_step": lambda w: {"token": "forged", "step": "pain"},
    "questionnaire_body": lambda w: {"token": "forged"},
    "calendar": lambda w: {"token": "forged"},
    "calendar_site": lambda w: {"token": "forged", "code": "NK"},
    "unscheduled": lambda w: {"spec_code": "F.VISIT"},
    "unscheduled:imaging": lambda w: {"spec_code": "F.IMAGING"},
    "crf_edit": lambda w: {"spec_code": "P.DM", "key": "form"},
    "crf_edit:imaging": lambda w: {"spec_code": "F.IMAGING", "key": "W2"},
    "record_history": lambda w: {"spec_code": w.query.spec_code, "pk": w.query.record_id},
    "record_history:arm": lambda w: {"spec_code": "R.RT", "pk": w.arm_query.record_id},
    "verify:arm": lambda w: {"spec_code": "R.RT", "pk": w.arm_query.record_id},
    "freeze_event": lambda w: {"event": "W2"},
    "freeze_form": lambda w: {"spec_code": w.query.spec_code, "pk": w.query.record_id},
    "freeze_lift": lambda w: {"pk": w.freeze.pk},
    "site_file_of": lambda w: {"code": "NK"},
    "site_data": lambda w: {"code": "NK"},
    "site_casebooks": lambda w: {"code": "NK"},
    "query_new": lambda w: {"spec_code": w.query.spec_code, "pk": w.query.record_id},
    "randomize:ready": lambda w: {"code": w.trial.ready.code},
    "list_detail": lambda w: {"pk": w.sealed.pk},
    "list_seal": lambda w: {"pk": w.trial.draft.pk},
    "list_discard": lambda w: {"pk": w.trial.draft.pk},
    "list_withdraw": lambda w: {"pk": w.sealed.pk},
    "list_verify": lambda w: {"pk": w.sealed.pk},
    "list_open": lambda w: {"pk": w.sealed.pk},
    "query": lambda w: {"pk": w.query.pk},
    "query:close": lambda w: {"pk": w.query.pk},
    "query:cancel": lambda w: {"pk": w.query.pk},
    "query_field": lambda w: {"pk": w.query.pk},
    "data_version": lambda w: {"number": 1},
    "export_zip": lambda w: {"number": 1},
    "report_made": lambda w: {"pk": 1},
    "report_pdf": lambda w: {"pk": 1},
}

POSTED: dict[str, Mapping[str, Any]] = {
    "query": {"verb": "answer"},
    "query:close": {"verb": "close"},
    "query:cancel": {"verb": "cancel"},
}


class Row(NamedTuple):
    """One line of the table: answers by column."""

    method: str
    name: str  # the URL name, perhaps with :variant
    answers: dict[str, str]

    @property
    def url_name(self) -> str:
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def rows(table: str) -> list[Row]:
    """The lines of a table; raises ValueError for one with too few or too many answers."""
    found = []
    for line in table.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        method, name, *answers = line.split()
        if method not in ("GET", "POST", "ANY"):
            raise ValueError(f"{line!r}: the method is GET, POST or ANY")
        for each in ("GET", "POST") if method == "ANY" else (method,):
            found.append(Row(each, name, dict(zip(COLUMNS, answers, strict=True))))
    return found
