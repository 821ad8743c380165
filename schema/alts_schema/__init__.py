"""The messages on the wire: `.proto` files and the modules generated from them. No logic lives here."""
