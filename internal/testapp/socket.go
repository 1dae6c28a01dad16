package testapp

import "hotswap/sockserver"

// Socket says where to serve hotswap's own API; the zero value serves it at
// the usual place.
type Socket struct {
	// Path and StderrPath are the two sockets; see [sockserver.SocketPaths]
	// for what "" means.
	Path, StderrPath string
}

// startSocket lets `hotswap cp` in. Only the service's own database can be
// reached: a test may have others open in the same process.
func (s *Service) startSocket() error {
	if s.cfg.Socket == nil {
		return nil
	}
	server, err := sockserver.Start(sockserver.Config{
		SocketPath:       s.cfg.Socket.Path,
		StderrSocketPath: s.cfg.Socket.StderrPath,
		DatabasePaths:    []string{escapeGlob(s.db.Path())},
		Logger:           s.log,
	})
	if err != nil {
		return err
	}
	s.onClose(server.Close)
	s.log.Info().Str("socket", server.SocketPath()).Msg("hotswap cp can be used")
	return nil
}

// escapeGlob makes a pattern that matches path only.
func escapeGlob(path string) string {
	var b []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}
