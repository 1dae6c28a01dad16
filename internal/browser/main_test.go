package browser

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"hotswap/internal/testenv"
)

var shots = flag.String("shots", "", "a directory for pictures of the page in some of its states")

// chromium is the browser that all tests share, each with a tab of its own.
var chromium context.Context

func TestMain(m *testing.M) {
	testenv.NoPeers()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	browser, closeAll := chromedp.NewContext(allocator)
	defer closeAll()
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintln(os.Stderr, "start Chromium (Debian's package chromium):", err)
		return 1
	}
	chromium = browser
	return m.Run()
}
