package constrain

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// refusal are the errors that say by name what is not supported.
var refusal = regexp.MustCompile(`is not supported|only references within the schema|is no JSON pointer|\$ref .* leads nowhere|may both hold|remainders to follow|at most`)

// The official test suite of JSON Schema, 2020-12: each schema is refused by name, or what is written under it is valid, and nothing that the suite
// says is invalid may be written. The suite is made by testdata/gen/suite.py.
func TestSuite(t *testing.T) {
	file, err := os.Open("testdata/suite.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Groups []struct {
			Name   string
			Schema json.RawMessage
			Tests  []struct {
				Data  string
				Valid bool
			}
		}
	}
	if err := json.NewDecoder(data).Decode(&suite); err != nil {
		t.Fatal(err)
	}
	refused, followed, nothing, valid, written := map[string]int{}, 0, 0, 0, 0
	for i, group := range suite.Groups {
		g, err := small.Compile(Spec{Schema: group.Schema})
		switch {
		case err == nil:
		case !errors.Is(err, ErrSpec):
			t.Errorf("%s: %v", group.Name, err)
			continue
		case strings.Contains(err.Error(), "no text satisfies"):
			for _, c := range group.Tests {
				if c.Valid {
					t.Errorf("%s: nothing is said to satisfy it, but %s is valid", group.Name, c.Data)
				}
			}
			nothing++
			continue
		case !refusal.MatchString(err.Error()):
			t.Errorf("%s: %v", group.Name, err)
			continue
		default:
			name, _, _ := strings.Cut(group.Name, ".json")
			refused[name]++
			continue
		}
		followed++
		for _, c := range group.Tests {
			may := g.Matches(c.Data)
			if may && !c.Valid {
				t.Errorf("%s: %s: %s is invalid, and may be written", group.Name, group.Schema, c.Data)
			}
			if c.Valid {
				valid++
				if may {
					written++
				}
			}
		}
		judge := Judge(t, string(group.Schema))
		for seed := range 8 {
			out := draw(t, g, newRand(100*i+seed), 6*seed)
			if err := Valid(t, judge, out); err != nil || !utf8.ValidString(out) {
				t.Errorf("%s: %s: %s: %v", group.Name, group.Schema, out, err)
				break
			}
		}
	}
	t.Logf("%d schemas followed, %d that allow nothing; of %d valid values %d may be written; refused: %v", followed, nothing, valid, written, refused)
	if followed < 150 {
		t.Errorf("only %d schemas are followed", followed)
	}
}
