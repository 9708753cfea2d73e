"""Photos that are read where they are: Parquet files of the Hub by ranges, folders of a store."""
