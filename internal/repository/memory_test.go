package repository

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
)

// memory is an object storage.
type memory struct {
	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	err     error // of whatever is done
}

var memories sync.Map // by URL

// newMemory makes an object storage, and returns its URL.
func newMemory(t testing.TB) (url string) {
	m := &memory{objects: map[string][]byte{}}
	url = fmt.Sprintf("memory://%p", m)
	memories.Store(url, m)
	t.Cleanup(func() { memories.Delete(url) })
	return url
}

func memoryAt(url string) *memory {
	m, ok := memories.Load(url)
	if !ok {
		return nil
	}
	return m.(*memory)
}

func openMemory(_ context.Context, url string) (Objects, error) {
	if m := memoryAt(url); m != nil {
		return m, nil
	}
	return nil, ErrNoObjects
}

func (m *memory) Write(_ context.Context, key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.objects[key] = bytes.Clone(data)
	}
	return m.err
}

func (m *memory) Read(_ context.Context, key string, _ int64) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok && m.err == nil {
		return nil, ErrNoObject
	}
	return data, m.err
}

func (m *memory) List(_ context.Context, prefix string, each func(string, int64)) error {
	m.mu.Lock()
	all, err := maps.Clone(m.objects), m.err
	m.mu.Unlock()
	for key, data := range all {
		if err == nil && strings.HasPrefix(key, prefix) {
			each(key, int64(len(data)))
		}
	}
	return err
}

func (m *memory) Remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return m.err
}
