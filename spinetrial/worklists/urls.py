from django.urls import path

from spinetrial.worklists import audit_trail, history, matrix, queries, sdv, sign_off, signing, subject, worklist
from spinetrial.worklists import freezing, history, matrix, queries, sdv, signing, site_file, subject, worklist

urlpatterns = [
    path("worklist/", worklist.worklist, name="worklist"),
    path("subjects/", matrix.matrix, name="matrix"),
    path("subjects/<slug:code>/", subject.subject, name="subject"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/history/", history.record_history, name="record_history"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/query/", queries.query_new, name="query_new"),
    path("audit/", audit_trail.audit_trail, name="audit_trail"),
    path("audit/csv/", audit_trail.audit_csv, name="audit_csv"),
    path("audit/sign-off/", sign_off.sign_off, name="sign_off"),
    path("audit/sign-off/csv/", sign_off.sign_off_csv, name="sign_off_csv"),
    path("subjects/<slug:code>/freeze/", freezing.freeze_subject, name="freeze_subject"),
    path("subjects/<slug:code>/freeze/<str:event>/", freezing.freeze_event, name="freeze_event"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/freeze/", freezing.freeze_form, name="freeze_form"),
    path("freezes/<int:pk>/lift/", freezing.freeze_lift, name="freeze_lift"),
    path("subjects/<slug:code>/casebook.pdf", site_file.casebook_pdf, name="casebook_pdf"),
    path("site-file/", site_file.site_file, name="site_file"),
    path("site-file/<slug:code>/", site_file.site_file_of, name="site_file_of"),
    path("site-file/<slug:code>/data.zip", site_file.site_data, name="site_data"),
    path("site-file/<slug:code>/casebooks.zip", site_file.site_casebooks, name="site_casebooks"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/verify/", sdv.verify_items, name="verify"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/unverify/", sdv.unverify, name="unverify"),
    path("subjects/<slug:code>/sign/", signing.sign_page, name="sign"),
    path("subjects/<slug:code>/signatures/", signing.signature_history, name="signatures"),
    path("verification/", sdv.sdv_list, name="sdv"),
    path("signing/", signing.signing_list, name="signing"),
    path("queries/", queries.query_list, name="queries"),
    path("queries/<int:pk>/", queries.query, name="query"),
]
