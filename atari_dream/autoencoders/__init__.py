"""The dream forms of the reference's autoencoders: one base, one file for each kind of encoder."""
