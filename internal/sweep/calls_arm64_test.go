//go:build linux && arm64

package sweep

// archSignatures are empty: what this architecture has, all newer ones have.
var archSignatures map[uintptr]signature
