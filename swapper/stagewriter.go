package swapper

import (
	"os"
)

// flushEvery is how much is written between two calls of startWriteback.
const flushEvery = 8 << 20

// stageWriter writes on a goroutine of its own, while the next bytes are read
// and digested. The rest is for one goroutine.
type stageWriter struct {
	file *os.File
	lazy bool        // the kernel writes back when it likes
	work chan []byte // to write, in order
	free chan []byte // buffers to fill
	err  error       // of the first write that failed; valid once free is closed
	done bool        // close was called
}

func newStageWriter(file *os.File, lazy bool) *stageWriter {
	const buffers = 3
	w := &stageWriter{file: file, lazy: lazy, work: make(chan []byte, buffers), free: make(chan []byte, buffers)}
	for range buffers {
		w.free <- make([]byte, copyChunk)
	}
	go w.run()
	return w
}

func (w *stageWriter) run() {
	var written, flushed int64
	for p := range w.work {
		if _, w.err = w.file.Write(p); w.err != nil {
			break
		}
		written += int64(len(p))
		if !w.lazy && written-flushed >= flushEvery {
			startWriteback(w.file, flushed, written-flushed)
			flushed = written
		}
		w.free <- p[:cap(p)]
	}
	close(w.free)
	for range w.work { // what comes after an error
	}
}

// buffer waits for one to fill. An error is of a write.
func (w *stageWriter) buffer() ([]byte, error) {
	if p, ok := <-w.free; ok {
		return p, nil
	}
	return nil, w.err
}

// write takes a buffer, of which nothing may be changed until it comes back.
func (w *stageWriter) write(p []byte) { w.work <- p }

// close waits for what is left, and returns the error of any write. It may be
// called again.
func (w *stageWriter) close() error {
	if !w.done {
		w.done = true
		close(w.work)
	}
	for range w.free {
	}
	return w.err
}
