// Plot draws the pictures of bench/README.md from what the benchmarks recorded:
//
//	go test ./bench -run xxx -bench 'Timeline|Pause' -benchtime 5x -record DIR
//	make drivers RECORD=DIR
//	cd bench/plot && go run . -in DIR -out ../pictures
//
// It is a module of its own, so that a plotting library is no dependency of
// the product.
package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gonum.org/v1/plot/vg/vgsvg"
)

func main() {
	in := flag.String("in", ".", "the `directory` with timeline.csv, pause.csv and drivers.csv")
	out := flag.String("out", ".", "the `directory` to write timeline.svg, pause.svg and drivers.svg to")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// run draws what there is data for.
func run(in, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	drawn := 0
	for name, draw := range map[string]func([][]string) (*vgsvg.Canvas, error){"timeline": drawTimeline, "pause": drawPause, "drivers": drawDrivers} {
		records, err := read(filepath.Join(in, name+".csv"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		canvas, err := draw(records)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := write(filepath.Join(out, name+".svg"), canvas); err != nil {
			return err
		}
		drawn++
	}
	if drawn == 0 {
		return fmt.Errorf("none of timeline.csv, pause.csv and drivers.csv is in %s", in)
	}
	return nil
}

// read returns the records of a CSV file without its header.
func read(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) < 2 {
		return nil, fmt.Errorf("%s: no data", path)
	}
	return records[1:], nil
}

// write names more fonts than the one that the canvas measured with: Arial is
// as wide, and any other is better than a browser's serifs.
func write(path string, canvas *vgsvg.Canvas) error {
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	const font = "font-family:Liberation Sans"
	return os.WriteFile(path, bytes.ReplaceAll(svg.Bytes(), []byte(font), []byte(font+",Arial,Helvetica,sans-serif")), 0o644)
}
