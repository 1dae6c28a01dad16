package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheTagNocloudLeavesOutTheClouds, and nothing but them; without it the command has what
// the guide says.
func TestTheTagNocloudLeavesOutTheClouds(t *testing.T) {
	t.Parallel()
	for tags, linked := range map[string]bool{"": true, "nocloud": false} {
		out, err := exec.Command("go", "list", "-deps", "-tags", tags, ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		packages := "\n" + string(out)
		for name, want := range map[string]bool{"gocloud.dev/blob/s3blob": linked, "gocloud.dev/blob/azureblob": linked,
			"github.com/aws/aws-sdk-go-v2/aws": linked, "gocloud.dev/blob/fileblob": true} {
			if got := strings.Contains(packages, "\n"+name+"\n"); got != want {
				t.Errorf("with the tags %q, %s is linked: %t", tags, name, got)
			}
		}
	}
}
