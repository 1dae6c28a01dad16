package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"hotswap/sockserver"
)

// TestEveryFieldOfTheJSONIsDocumented, and none that there isn't.
func TestEveryFieldOfTheJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		heading string
		value   any
		unset   []string
	}{
		{heading: "## List", value: sockserver.DatabaseInfo{}},
		{heading: "## The report of cp --json", value: cpReport{}, unset: asAbove},
	} {
		_, section, _ := strings.Cut(string(text), "\n"+test.heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var documented []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) > 2 {
				for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
					documented = append(documented, name[1])
				}
			}
		}
		fields := slices.DeleteFunc(fieldsOf(reflect.TypeOf(test.value), ""), func(name string) bool { return slices.Contains(test.unset, name) })
		slices.Sort(documented)
		slices.Sort(fields)
		if !slices.Equal(documented, slices.Compact(fields)) {
			t.Errorf("%q has rows for\n%q\nand the fields are\n%q", test.heading, documented, fields)
		}
	}
}

// asAbove are fields of which another row says what is in them.
var asAbove = []string{"peers[].stats", "peers[].holders"}

// fieldsOf returns the names of a struct's fields in JSON, and of the structs in it.
func fieldsOf(t reflect.Type, prefix string) (names []string) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := field.Type
		switch {
		case field.Anonymous:
			names = append(names, fieldsOf(inner, prefix)...)
			continue
		case !field.IsExported():
			continue
		}
		name = prefix + name
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		of := name + "."
		if inner.Kind() == reflect.Slice {
			inner, of = inner.Elem(), name+"[]."
		}
		if inner.Kind() != reflect.Struct || inner == reflect.TypeFor[time.Time]() || slices.Contains(asAbove, name) {
			names = append(names, name)
		} else {
			names = append(names, fieldsOf(inner, of)...)
		}
	}
	return names
}
