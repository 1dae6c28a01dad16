package main

import (
	"context"
	"os"

	"hotswap/sockserver"
)

// where are the flags and the argument that say which program.
type where struct {
	sockets `embed:""`
	Program string `arg:"" optional:"" name:"PROGRAM" help:"A directory of the program's or one of its databases, here or on another machine: HOST:DIRECTORY, HOST:DATABASE. By default the program of the working directory."`
}

// program reaches it. only is the database that PROGRAM names, or "".
func (w where) program(ctx context.Context, still *stillness) (p *endpoint, only string, err error) {
	if w.Program == "" {
		p = w.nearest()
		still.asks(p)
		return p, "", nil
	}
	at, err := parseAddress(w.Program)
	if err != nil {
		return nil, "", err
	}
	if at.remote() {
		return w.far(ctx, still, at)
	}
	if p, err = w.find(ctx, still, at.path); err != nil {
		return nil, "", err
	}
	found, err := locate(at.path, p.list)
	if err != nil {
		p.close()
		return nil, "", err
	}
	if found.managed {
		return p, found.path, nil
	}
	if info, err := os.Stat(at.path); err != nil || !info.IsDir() {
		p.close()
		return nil, "", notProgram(at, p.list)
	}
	return p, "", nil
}

func (w where) far(ctx context.Context, still *stillness, at address) (p *endpoint, only string, err error) {
	p, answer, err := w.reach(ctx, still, at, "")
	if err != nil {
		return nil, "", err
	}
	switch {
	case answer.Managed:
		return p, string(answer.Path), nil
	case answer.Dir:
		return p, "", nil
	}
	defer p.close()
	list, err := p.client.Databases(ctx, "")
	if err != nil {
		return nil, "", err
	}
	return nil, "", notProgram(at, list)
}

func notProgram(at address, list []sockserver.DatabaseInfo) error {
	return usagef("%s is neither a directory nor a managed database; the program near it manages %s", at.arg, listed(list))
}
