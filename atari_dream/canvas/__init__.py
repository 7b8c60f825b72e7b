"""What `vivid` is made of: frames by cell, what rests, what changes colour as a whole, and what is drawn anew."""
