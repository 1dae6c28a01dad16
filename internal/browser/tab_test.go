package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"hotswap/internal/testenv"
)

// tab is a tab with the page in it. What the page complains of on the console, such as
// what its policy forbids, is an error of the test.
type tab struct {
	t          *testing.T
	ctx        context.Context
	complaints chan string
}

func open(t *testing.T, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancelTimeout := context.WithTimeout(ctx, 3*time.Minute) // the last to end
	t.Cleanup(cancelTimeout)
	b := &tab{t: t, ctx: ctx, complaints: make(chan string, 100)}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.complaints <- fmt.Sprintf("exception: %+v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			b.complaints <- fmt.Sprintf("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		case *page.EventJavascriptDialogOpening:
			b.complaints <- "dialog: " + e.Message
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate(url))
	return b
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// silent fails the test if the page has complained, but of what has one of these words.
func (b *tab) silent(but ...string) {
	b.t.Helper()
next:
	for {
		select {
		case text := <-b.complaints:
			for _, word := range but {
				if strings.Contains(text, word) {
					continue next
				}
			}
			b.t.Error(text)
		default:
			return
		}
	}
}

// eval evaluates JavaScript, and awaits what is a promise.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// text returns what the user sees of an element; "" if there is none.
func (b *tab) text(selector string) string {
	return eval[string](b, fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", selector))
}

// sees waits until an element has all of these words.
func (b *tab) sees(selector string, words ...string) {
	b.t.Helper()
	testenv.Eventually(b.t, func() error {
		text := b.text(selector)
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%s does not say %q: %s", selector, word, text)
			}
		}
		return nil
	})
}

// gone waits until there is no such element.
func (b *tab) gone(selector string) {
	b.t.Helper()
	testenv.Until(b.t, "there is no "+selector, func() bool {
		return eval[bool](b, fmt.Sprintf("document.querySelector(%q) === null", selector))
	})
}

// press presses the button with that text, once there is one that can be pressed.
func (b *tab) press(text string) {
	b.t.Helper()
	testenv.Until(b.t, "there is a button "+text, func() bool {
		return eval[bool](b, fmt.Sprintf(`(() => {
			const button = [...document.querySelectorAll("button")].find((b) => b.innerText.startsWith(%q) && !b.disabled && b.checkVisibility());
			button?.click();
			return Boolean(button);
		})()`, text))
	})
}

// tick turns the option of that name on or off.
func (b *tab) tick(text string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`(() => {
		const label = [...document.querySelectorAll("label")].find((l) => l.innerText.startsWith(%q));
		label?.click();
		return Boolean(label);
	})()`, text)) {
		b.t.Fatalf("there is no option %q", text)
	}
}

// choose opens the panel, if it is not open, and chooses a file.
func (b *tab) choose(path string) {
	b.t.Helper()
	if !eval[bool](b, `document.querySelector(".push")?.checkVisibility() ?? false`) {
		b.press("Push a database")
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{path}))
}

// picture takes pictures, if any are wanted, on a wide screen and a phone's, light and dark.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		for width, height := range map[int64]int64{1280: 900, 390: 844} {
			b.do(chromedp.EmulateViewport(width, height))
			media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
				b.t.Fatal(err)
			}
			png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				b.t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*shots, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}
