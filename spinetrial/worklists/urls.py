from django.urls import path

from spinetrial.worklists import audit_trail, history, matrix, queries, sdv, sign_off, signing, subject, worklist

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
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/verify/", sdv.verify_items, name="verify"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/unverify/", sdv.unverify, name="unverify"),
    path("subjects/<slug:code>/sign/", signing.sign_page, name="sign"),
    path("subjects/<slug:code>/signatures/", signing.signature_history, name="signatures"),
    path("verification/", sdv.sdv_list, name="sdv"),
    path("signing/", signing.signing_list, name="signing"),
    path("queries/", queries.query_list, name="queries"),
    path("queries/<int:pk>/", queries.query, name="query"),
]
