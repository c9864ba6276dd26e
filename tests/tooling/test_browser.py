"""The guards of the browser fixture itself."""

import pytest

PAGE = "<!doctype html><title>t</title><p>hello</p>"


def show(page, body):
    page.route("**/made-up", lambda route: route.fulfill(body=PAGE + body, content_type="text/html"))
    page.goto("/made-up")


def test_a_quiet_page_passes(browser_page):
    show(browser_page, "")
    assert browser_page.text_content("p") == "hello"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('planted')</script>", "console: planted"),
        ("<script>throw new Error('planted')</script>", "script: .*planted"),
        ("<img src='http://elsewhere.example.org/a.png'>", "request to another host"),
    ],
)
def test_a_planted_fault_is_found(watched, body, complaint):
    with pytest.raises(AssertionError, match=complaint), watched() as page:
        show(page, body)


def test_an_expected_message_passes(watched):
    with watched(["plan.ed"]) as page:
        show(page, "<script>console.error('planted')</script>")


@pytest.mark.django_db
def test_an_ordinary_test_after_the_browser_still_has_its_database(django_user_model):
    assert django_user_model.objects.count() == 0
