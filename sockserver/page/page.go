// Package page has what package sockserver answers a browser with: a page that shows
// the managed databases, pushes and pulls, by the protocol that everything else uses. It
// needs nothing but its own files.
//
// main.js is where it begins, and each of the other files draws or does one thing.
package page

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed index.html page.css icon.svg *.js
var files embed.FS

// parts is where the page's files are, but for itself.
const parts = "/page/"

// policy lets the page load its own files and talk to its own server, and nothing else:
// not even a script that got into it could send anything elsewhere. What is shown is
// never parsed as markup, which the last two directives have the browser enforce.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Serves reports whether a request is for the page, or for a part of it: at / only a
// client that takes HTML is answered with it.
func Serves(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if r.URL.Path == "/" {
		return strings.Contains(r.Header.Get("Accept"), "text/html")
	}
	name, below := strings.CutPrefix(r.URL.Path, parts)
	info, err := files.Open(name)
	if err != nil {
		return false
	}
	info.Close()
	return below && name != "index.html" && name != "."
}

// ServeHTTP answers a request that Serves accepts.
func ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, parts)
	if r.URL.Path == "/" {
		name = "index.html"
	}
	Protect(w.Header())
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Vary", "Accept")
	http.ServeFileFS(w, r, files, name)
}

// Protect sets what belongs with every answer that a browser may get: it is what it
// says it is, for its own site, its address is told to nobody, and nothing of it is kept.
func Protect(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
