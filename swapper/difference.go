package swapper

import (
	"fmt"
	"strings"
)

// How many differences of two schemas a SchemaError has, and how many of them its text.
const (
	maxDifferences = 50
	maxInText      = 10
)

// SchemaError says how a new database's schema differs from the live one's; errors.As
// finds it in an error that is ErrSchema.
type SchemaError struct {
	// Differences are the first 50, by name.
	Differences []SchemaDifference `json:"differences"`
	// More is how many there are beside them.
	More int `json:"more,omitempty"`
}

// SchemaDifference is one thing that is not the same in both schemas. White space and
// comments do not count.
type SchemaDifference struct {
	// Name is its kind and its name, such as "table users".
	Name string `json:"name"`
	// Live and New are the SQL text that made it, on one line unless it is a virtual
	// table's; empty where there is none of that name.
	Live string `json:"live,omitempty"`
	New  string `json:"new,omitempty"`
}

func (e *SchemaError) Error() string {
	shown := e.Differences[:min(len(e.Differences), maxInText)]
	texts := make([]string, len(shown))
	for i, d := range shown {
		texts[i] = d.String()
	}
	text := strings.Join(texts, "; ")
	if more := len(e.Differences) - len(shown) + e.More; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

func (d SchemaDifference) String() string {
	switch {
	case d.New == "":
		return d.Name + " is missing"
	case d.Live == "":
		return d.Name + " is not in the live database"
	default:
		return fmt.Sprintf("%s differs (live: %s) (new: %s)", d.Name, d.Live, d.New)
	}
}
