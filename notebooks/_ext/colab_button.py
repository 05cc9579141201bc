"""Points the Colab button at a notebook: Colab opens no MyST file.

The notebooks are generated, and published as a branch of their own (`python tasks.py notebooks --publish`).
So are the pages of the homework, which are in no branch that the other services could open: those keep the
Colab button alone.
"""
from __future__ import annotations

BRANCH = "colab"


def repoint(app, pagename, templatename, context, doctree) -> None:
    """Rewrite the URL of the Colab button among the page's launch buttons."""
    branch = app.config.html_theme_options.get("repository_branch", "main")
    source = f"/blob/{branch}/{app.config.html_theme_options.get('path_to_docs', '')}/{pagename}.md"
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons" and pagename.startswith("hw"):
            group["buttons"] = [button for button in group["buttons"] if button.get("text") == "Colab"]
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                button["url"] = button["url"].replace(source, f"/blob/{BRANCH}/{pagename}.ipynb")


def setup(app) -> dict:
    app.connect("html-page-context", repoint, priority=900)  # after the theme has added its buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
