from django.urls import path

from spinetrial.reports import design_views, papers, sae, views

urlpatterns = [
    path("design/", design_views.design_page, name="design"),
    path("design/simulations/", design_views.design_simulate, name="design_simulate"),
    path("design/simulations/<int:pk>/", design_views.design_simulation, name="design_simulation"),
    path("report/", views.report, name="report"),
    path("report/make/", views.report_make, name="report_make"),
    path("report/<int:pk>/", views.report_made, name="report_made"),
    path("report/<int:pk>/pdf/", views.report_pdf, name="report_pdf"),
    path("examples/", papers.examples, name="examples"),
    path("subjects/<slug:code>/adverse-events/<int:pk>/reports/<int:number>/cioms.pdf", sae.sae_pdf, name="sae_pdf"),
]
