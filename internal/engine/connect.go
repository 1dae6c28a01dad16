package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
)

// options are those of a connection, and where it goes.
func (c Config) options() (options []nats.Option, url string, err error) {
	if c.Context != "" {
		known, err := readContext(c.Context)
		if err != nil {
			return nil, "", err
		}
		if options, err = known.options(); err != nil {
			return nil, "", fmt.Errorf("NATS context %s: %w", c.Context, err)
		}
		url = known.URL
	}
	url = cmp.Or(c.URL, url, DefaultURL)
	files := natsContext{Creds: c.Creds, NKey: c.NKey, CA: c.TLS.CA, Cert: c.TLS.Cert, Key: c.TLS.Key}
	own, err := files.options()
	if err != nil {
		return nil, "", err
	}
	options = append(options, own...)
	return append(options, nats.Name(cmp.Or(c.Name, "hotswap"))), url, nil
}

// speaksFirst reports whether the server says something before it is told anything.
func (c Config) speaksFirst(url string) bool {
	if strings.Contains(url, "ws://") || strings.Contains(url, "wss://") {
		return false
	}
	if c.Context == "" {
		return true
	}
	known, err := readContext(c.Context)
	return err == nil && !known.TLSFirst
}

// natsContext is what a file of the nats command has that says how to connect. Only
// what says so is read; how the command shows things is its own matter.
type natsContext struct {
	URL         string `json:"url"`
	User        string `json:"user"`
	Password    string `json:"password"`
	Token       string `json:"token"`
	Creds       string `json:"creds"`
	NKey        string `json:"nkey"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
	TLSFirst    bool   `json:"tls_first"`
	InboxPrefix string `json:"inbox_prefix"`
	UserJWT     string `json:"user_jwt"`
	UserSeed    string `json:"user_seed"`
	NSC         string `json:"nsc"`
	SocksProxy  string `json:"socks_proxy"`
	Domain      string `json:"jetstream_domain"`
	APIPrefix   string `json:"jetstream_api_prefix"`
}

// readContext reads a context by its name or by its file's path.
func readContext(name string) (c natsContext, err error) {
	path := name
	if !strings.ContainsRune(name, filepath.Separator) {
		dir := os.Getenv("XDG_CONFIG_HOME")
		if dir == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return c, err
			}
			dir = filepath.Join(home, ".config")
		}
		path = filepath.Join(dir, "nats", "context", name+".json")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("there is no NATS context %q: %w (`nats context ls` lists them)", name, err)
	}
	if err != nil {
		return c, fmt.Errorf("read the NATS context %q: %w", name, err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("the NATS context %s is not valid: %w", path, err)
	}
	return c, nil
}

// options are those of the connection; it fails for what would be left out silently.
func (c natsContext) options() (options []nats.Option, err error) {
	for name, value := range map[string]string{"nsc": c.NSC, "socks_proxy": c.SocksProxy, "jetstream_domain": c.Domain,
		"jetstream_api_prefix": c.APIPrefix} {
		if value != "" {
			return nil, fmt.Errorf("%s is not supported here", name)
		}
	}
	if c.User != "" {
		options = append(options, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		options = append(options, nats.Token(c.Token))
	}
	if c.UserJWT != "" {
		options = append(options, nats.UserJWTAndSeed(c.UserJWT, c.UserSeed))
	}
	if c.Creds != "" {
		if strings.Contains(c.Creds, "://") {
			return nil, fmt.Errorf("credentials at %s are not supported here: name a file", c.Creds)
		}
		path, err := readable("credentials", c.Creds)
		if err != nil {
			return nil, err
		}
		options = append(options, nats.UserCredentials(path))
	}
	if c.NKey != "" {
		path, err := readable("nkey", c.NKey)
		if err != nil {
			return nil, err
		}
		option, err := nats.NkeyOptionFromSeed(path)
		if err != nil {
			return nil, fmt.Errorf("the nkey %s is not valid: %w", c.NKey, err)
		}
		options = append(options, option)
	}
	if c.CA != "" {
		options = append(options, nats.RootCAs(home(c.CA)))
	}
	if c.Cert != "" || c.Key != "" {
		options = append(options, nats.ClientCert(home(c.Cert), home(c.Key)))
	}
	if c.TLSFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	return options, nil
}

// readable refuses a file that can't be read before NATS meets it, which would try again
// and again.
func readable(what, path string) (string, error) {
	path = home(path)
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open the %s file: %w", what, err)
	}
	f.Close()
	return path, nil
}

// home replaces a leading ~, as the nats command does.
func home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	return path
}
