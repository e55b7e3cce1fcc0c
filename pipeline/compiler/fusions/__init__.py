"""What several operators are together: one file a fusion, with its pattern and its lowering."""
