package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestThePageIsOnlyForItsAddressAndItsMachine(t *testing.T) {
	served := ""
	handler := behindSecret("SECRET", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { served = r.URL.Path }))
	for _, test := range []struct {
		host, target string
		status       int
		path         string
	}{
		{"127.0.0.1:8090", "/SECRET/", 200, "/"},
		{"localhost:8090", "/SECRET/v1/page", 200, "/v1/page"},
		{"localhost", "/SECRET/page/main.js", 200, "/page/main.js"},
		{"LOCALHOST:8090", "/SECRET/", 200, "/"},
		{"[::1]:8090", "/SECRET/", 200, "/"},
		{"127.0.0.1:8090", "/", 404, ""},
		{"127.0.0.1:8090", "/SECRET", 404, ""},
		{"127.0.0.1:8090", "/secret/", 404, ""},
		{"127.0.0.1:8090", "/SECRETS/", 404, ""},
		{"127.0.0.1:8090", "//SECRET/", 404, ""},
		{"127.0.0.1:8090", "/v1/databases", 404, ""},
		// A name that leads here is not a name of this machine.
		{"evil.example:8090", "/SECRET/", 403, ""},
		{"127.0.0.1.evil.example", "/SECRET/", 403, ""},
		{"192.168.1.7:8090", "/SECRET/", 403, ""},
		{"", "/SECRET/", 403, ""},
	} {
		served = ""
		r := httptest.NewRequest("GET", test.target, nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.status || served != test.path {
			t.Errorf("%s at %q: %d, and %q is served; want %d and %q", test.target, test.host, w.Code, served, test.status, test.path)
		}
		if got := w.Header().Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" {
			t.Errorf("%s at %q: Cache-Control is %q", test.target, test.host, got)
		}
	}
}
