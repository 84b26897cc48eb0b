import fc from 'fast-check'

// A mutant is found or not by the same random runs each time, and is not shrunk.
fc.configureGlobal({ seed: 4, endOnFailure: true })
