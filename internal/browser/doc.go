// Package browser has tests only: of the page that package sockserver serves, in
// Chromium. It is a module of its own, so that what drives that is not in hotswap's
// go.mod.
package browser
