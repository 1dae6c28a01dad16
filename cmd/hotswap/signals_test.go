package main

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheEchoOfASignalIsNotASecondOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		ended := make(chan bool, 1)
		go func() { ended <- again(signals, done) }()
		signals <- os.Interrupt
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("the echo has ended it")
		default:
		}
		time.Sleep(echo + 1)
		signals <- os.Interrupt
		if !<-ended {
			t.Error("a second one has not")
		}
		go func() { ended <- again(signals, done) }()
		close(done)
		if <-ended {
			t.Error("the command's end was taken for a signal")
		}
	})
}
