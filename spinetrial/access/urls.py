from django.urls import path

from spinetrial.access import renew, views

urlpatterns = [
    path("", views.home, name="home"),
    path("health/", views.health, name="health"),
    path("login/", views.login, name="login"),
    path("login/renew/", renew.renew, name="login_renew"),
    path("logout/", views.logout, name="logout"),
    path("password/", views.password_change, name="password_change"),
    path("password/done/", views.password_change_done, name="password_change_done"),
    path("language/", views.set_language, name="set_language"),
    path("site/", views.choose_site, name="choose_site"),
    path("accounts/", views.account_list, name="accounts"),
    path("accounts/new/", views.account_new, name="account_new"),
    path("accounts/<int:pk>/", views.account, name="account"),
    path("accounts/<int:pk>/edit/", views.account_edit, name="account_edit"),
    path("accounts/<int:pk>/password/", views.account_password, name="account_password"),
    path("accounts/<int:pk>/role/", views.membership_new, name="membership_new"),
    path("memberships/<int:pk>/end/", views.membership_end, name="membership_end"),
    path("sites/new/", views.site_edit, name="site_new"),
    path("sites/<slug:code>/", views.site_edit, name="site_edit"),
]
