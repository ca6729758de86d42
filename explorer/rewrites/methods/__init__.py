"""The methods of published papers over pairs, one technique a file: what is more than a column, and what columns are made of."""
