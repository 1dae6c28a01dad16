// Package words has only a test: it keeps the word list of CONTRIBUTING.md in what
// people read of this module, its documents, messages and comments.
package words
