"""How conclusions are shown: chapters, figures, panels, tables, and the page that holds them."""
