"""The kinds of hostile input of the campaign: files, photos and encoders, answers of servers."""
