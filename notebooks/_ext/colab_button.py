"""Points the Colab button at a notebook: Colab opens no MyST file.

The notebooks are generated (`python tasks.py notebooks`) and published as a branch of their own. The pages of the homework
get no launch button: they are generated too, and students get a notebook of their own.
"""
from __future__ import annotations

BRANCH = "colab"


def repoint(app, pagename, templatename, context, doctree) -> None:
    """Rewrite the URL of the Colab button among the page's launch buttons."""
    if pagename.startswith("hw"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [group for group in buttons if group.get("label") != "launch-buttons"]
        return
    branch = app.config.html_theme_options.get("repository_branch", "main")
    source = f"/blob/{branch}/{app.config.html_theme_options.get('path_to_docs', '')}/{pagename}.md"
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = button["url"].replace(source, f"/blob/{BRANCH}/{pagename}.ipynb")


def setup(app) -> dict:
    app.connect("html-page-context", repoint, priority=900)  # after the theme has added its buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
