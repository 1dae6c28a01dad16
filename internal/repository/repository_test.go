package repository

import (
	"fmt"
	"testing"
)

// furthest keeps the last progress of a fetch.
type furthest struct {
	last Fetched
}

func (f *furthest) reached(at Fetched) {
	f.last = at
}

func TestWhatIsPublishedIsFetched(t *testing.T) {
	w := newWorld(t)
	for _, pageSize := range []int{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536} {
		t.Run(fmt.Sprint(pageSize), func(t *testing.T) {
			w := w.in(t)
			channel := fmt.Sprintf("pages-%d", pageSize)
			path := w.database(pageSize, 1<<20+pageSize*3)
			first := w.publish(channel, path, PublishOptions{Message: "the first"})
			if first.Number != 1 || first.PageSize != int64(pageSize) || first.Message != "the first" {
				t.Errorf("published %+v", first)
			}
			got, _ := w.fetch(w.repo, first.Published)
			if !same(got, w.asPublished(path)) {
				t.Error("the first version is not what was published")
			}
			w.change(path, 50)
			second := w.publish(channel, path, PublishOptions{})
			if second.Number != 2 || second.Parent != 1 {
				t.Errorf("published %+v", second)
			}
			got, _ = w.fetch(w.repo, second.Published)
			if !same(got, w.asPublished(path)) {
				t.Error("the second version is not what was published")
			}
			all, err := w.repo.Versions(t.Context(), channel)
			if err != nil || len(all) != 2 || all[1].SHA256 != second.SHA256 {
				t.Errorf("there are %v, %v", all, err)
			}
		})
	}
}
