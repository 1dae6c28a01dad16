package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hotswap/internal/records"
)

// obeyed are the newest order and pin that a node with trusted keys has obeyed. They are kept
// beside the database, so that an older one, signed as it is, can't move the node back: not
// after a restart, either.
type obeyed struct {
	Order *records.Sealed `json:"order,omitempty"`
	Pin   *records.Sealed `json:"pin,omitempty"`
}

// obeyedPath is the file of what is obeyed with a database.
func (d *database) obeyedPath() string { return d.state.Path + "-hotswap-orders" }

// remember reads what was obeyed before. What no key that is trusted now has signed counts no
// more; a file that can't be read is that of a node that is new.
func (d *database) remember() {
	text, err := os.ReadFile(d.obeyedPath())
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	var was obeyed
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		d.log.Error().Err(err).Msg("which orders the node has obeyed is not known: it takes any that is signed")
		return
	}
	v := &d.view
	if was.Order != nil {
		if o, err := was.Order.Order(v.keys, v.channel); err == nil {
			v.order, v.obeyed.Order = o, was.Order
		}
	}
	if was.Pin != nil {
		if p, err := was.Pin.Pin(v.keys, v.channel, v.node); err == nil {
			v.pin, v.obeyed.Pin = p, was.Pin
		}
	}
	d.kept = v.obeyed
}

// keep writes what is obeyed, if it was not written yet.
func (d *database) keep() (err error) {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	d.mu.Lock()
	now := d.view.obeyed
	d.mu.Unlock()
	if now == d.kept {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep the order beside the database: %w", err)
		}
	}()
	text, err := json.Marshal(now)
	if err != nil {
		return err
	}
	if err := replace(d.obeyedPath(), text); err != nil {
		return err
	}
	d.kept = now
	return nil
}

// replace makes a text the content of a file, so that it is the old or the new one, whatever
// happens.
func replace(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
