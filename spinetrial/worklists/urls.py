from django.urls import path

from spinetrial.worklists import coming, dashboard, history, matrix, queries, subject, worklist

urlpatterns = [
    path("worklist/", worklist.worklist, name="worklist"),
    path("subjects/", matrix.matrix, name="matrix"),
    path("subjects/<slug:code>/", subject.subject, name="subject"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/history/", history.record_history, name="record_history"),
    path("subjects/<slug:code>/<str:spec_code>/<int:pk>/query/", queries.query_new, name="query_new"),
    path("coming/", coming.coming, name="coming"),
    path("calendar/<str:token>.ics", coming.calendar, name="calendar"),
    path("dashboard/", dashboard.dashboard, name="dashboard"),
    path("dashboard/<slug:key>/", dashboard.flow, name="flow"),
    path("queries/", queries.query_list, name="queries"),
    path("queries/<int:pk>/", queries.query, name="query"),
]
