"""How folders, tables and annotations say which mask belongs to which image. No picture is decoded here."""
