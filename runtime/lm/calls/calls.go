// Package calls takes the answers of models apart as they come: text, reasoning, calls of tools. Each family of models
// writes them in its own way: formats.go lists the ways.
//
//	f := calls.ForTemplate(template) // or calls.Named("hermes", template)
//	r := calls.NewReader(calls.Options{Format: f})
//	pieces := r.Next("<tool_call>{\"name\": ..")
//	pieces = r.End()
//
// What looks like a call and is none stays text, letter by letter: nothing that a model wrote is lost.
package calls

import (
	"fmt"
	"slices"
	"strings"
)

// Piece is a part of an answer: exactly one field is set.
type Piece struct {
	Text      string
	Reasoning string
	Call      *Call  // one begins
	Arguments string // go on those of the last call
}

// Call is a call of a tool: a whole one, or what is known where it begins.
type Call struct {
	Name      string
	Arguments string // a JSON object
}

// Tool is one that may be called.
type Tool struct {
	Name string
	Text func(key string) bool // whether an argument is a text even where it looks like other JSON; nil: none is
}

// Format is how a family of models writes calls.
type Format struct {
	Name     string   // vLLM's, as the aliases
	Aliases  []string // further names
	Template []string // words of a chat template that tell the family, all of them
	Special  []string // special tokens that it is made of: the reader has to see them in the text
	Open     []string // begin a call or several; none: the whole answer is one, if it begins like Bare
	Close    string   // ends them; "": the end of the answer
	Bare     []string // an answer that begins so is calls without Open
	Frame    *Frame   // the spelling between the marks; nil: calls cannot be asked for in this format
	parse    func(body string) ([]Call, bool)
	channels bool // harmony's, which are more than calls between marks
}

// Frame is the spelling of calls between marks: Begin Head NAME Middle ARGUMENTS Tail End, further calls behind Sep Head.
// White space in it may be more or missing in an answer.
type Frame struct {
	Begin, Head, Middle, Tail, Sep, End string
	Many                                bool   // several calls between one pair of marks
	Pairs                               *Pairs // the arguments are keys and values between marks; nil: a JSON object
}

// Number in a Frame stands for any number.
const Number = "\x00"

// Pairs is the spelling of arguments one by one: Key K KeyEnd Value V ValueEnd.
type Pairs struct{ Key, KeyEnd, Value, ValueEnd string }

// Reasoning is how a family of models writes what it thinks before it answers.
type Reasoning struct {
	Name     string // vLLM's, as the aliases
	Aliases  []string
	Template []string // any of these words in a chat template tells it
	Special  []string
	Open     string
	Close    string
	Inside   bool // every answer begins with it, though nothing opens it
	channels bool
}

// Named returns the format of a name; of several that share it the one that the template tells.
func Named(name, template string) (found *Format, err error) {
	var names []string
	for _, f := range formats {
		names = append(append(names, f.Name), f.Aliases...)
		switch is := f.Name == name || slices.Contains(f.Aliases, name); {
		case is && f.told(template):
			return f, nil
		case is && found == nil:
			found = f
		}
	}
	if found == nil {
		return nil, unknown("calls of tools", name, names)
	}
	return found, nil
}

// ReasoningNamed returns the reasoning of a name.
func ReasoningNamed(name string) (*Reasoning, error) {
	var names []string
	for _, r := range reasonings {
		names = append(append(names, r.Name), r.Aliases...)
		if r.Name == name || slices.Contains(r.Aliases, name) {
			return r, nil
		}
	}
	return nil, unknown("reasoning", name, names)
}

func unknown(what, name string, names []string) error {
	slices.Sort(names)
	return fmt.Errorf("%.60q is no parser of %s; these are: %s", name, what, strings.Join(slices.Compact(names), ", "))
}

// told tells whether a chat template has the words of the format.
func (f *Format) told(template string) bool {
	return len(f.Template) > 0 && !slices.ContainsFunc(f.Template, func(word string) bool { return !strings.Contains(template, word) })
}

// ForTemplate returns the format of the family that a chat template is of, nil if it shows none.
func ForTemplate(template string) *Format {
	if i := slices.IndexFunc(formats, func(f *Format) bool { return f.told(template) }); i >= 0 {
		return formats[i]
	}
	return nil
}

// ReasoningForTemplate is the same of reasoning.
func ReasoningForTemplate(template string) *Reasoning {
	for _, r := range reasonings {
		if slices.ContainsFunc(r.Template, func(word string) bool { return strings.Contains(template, word) }) {
			return r
		}
	}
	return nil
}
