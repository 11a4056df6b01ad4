"""What a billing team sees and does in the browser.

Pages read the store and act through the front desk, never on tables of their own. Whoever is not
let in by name sees nothing: every route states the permission that it needs.
"""
