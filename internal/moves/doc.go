// Package moves is a test.
package moves
