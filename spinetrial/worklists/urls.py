from django.urls import path

from spinetrial.worklists import freezing, history, matrix, queries, subject, worklist

urlpatterns = [
    path("worklist/", worklist.worklist, name="worklist"),
    path("subjects/", matrix.matrix, name="matrix"),
    path("subjects/<slug:code>/", subject.subject, name="subject"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/history/", history.record_history, name="record_history"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/query/", queries.query_new, name="query_new"),
    path("subjects/<slug:code>/freeze/", freezing.freeze_subject, name="freeze_subject"),
    path("subjects/<slug:code>/freeze/<str:event>/", freezing.freeze_event, name="freeze_event"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/freeze/", freezing.freeze_form, name="freeze_form"),
    path("freezes/<int:pk>/lift/", freezing.freeze_lift, name="freeze_lift"),
    path("queries/", queries.query_list, name="queries"),
    path("queries/<int:pk>/", queries.query, name="query"),
]
