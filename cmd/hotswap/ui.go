package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"hotswap/sockserver"
	webpage "hotswap/sockserver/page"
)

// uiCmd is `hotswap ui`.
type uiCmd struct {
	where
	Port      uint16 `placeholder:"PORT" help:"The port on 127.0.0.1; any free one by default."`
	AllowPush bool   `help:"Let the page push. Without it the page shows and pulls."`
}

// Help is the text below the flags.
func (uiCmd) Help() string {
	return `Serves the page on 127.0.0.1 until Ctrl-C, for whoever has its address, which has a secret in it: do not pass it on.` + "\n\n" + examples(
		"look at the program of this machine", "hotswap ui",
		"at one of another machine", "hotswap ui prod:app",
	)
}

// Run serves the page until the context ends.
func (c *uiCmd) Run(ctx context.Context, stdio *streams) error {
	p, _, err := c.program(ctx, nil)
	if err != nil {
		return err
	}
	defer p.close()
	client := p.client
	if _, err := client.Version(ctx); err != nil {
		return err
	}
	return servePage(ctx, stdio, c.Port, client.Handler(sockserver.UI{AllowPush: c.AllowPush}))
}

// servePage serves a page on 127.0.0.1 until the context ends.
func servePage(ctx context.Context, stdio *streams, port uint16, page http.Handler) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return failf(exitFailed, "serve the page: %v", err).withHint("choose another --port")
	}
	secret := rand.Text()
	server := &http.Server{
		Handler:           behindSecret(secret, page),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if _, err := fmt.Fprintf(stdio.out, "http://%s/%s/\n", listener.Addr(), secret); err != nil {
		listener.Close()
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

// behindSecret serves next below a path that is the secret, to those who ask for it by a
// name of this machine: a name that somebody else's server has given out could lead a
// browser here in the midst of a visit there.
func behindSecret(secret string, next http.Handler) http.Handler {
	next = http.StripPrefix("/"+secret, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		webpage.Protect(w.Header())
		if !isLoopback(r.Host) {
			http.Error(w, "this page is for the browsers of its own machine: use the address as `hotswap ui` has printed it", http.StatusForbidden)
			return
		}
		first, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if !below || subtle.ConstantTimeCompare([]byte(first), []byte(secret)) != 1 {
			http.Error(w, "there is nothing here: use the address as `hotswap ui` has printed it", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a Host field names this machine for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}
