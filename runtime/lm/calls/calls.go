// Package calls takes the answers of models apart as they come: text, reasoning, calls of tools. Each family of models
// writes calls in its own way; a format is one file.
//
//	f := calls.ForTemplate(template)        // or calls.Named("hermes")
//	p := calls.NewReader(f, inside)
//	pieces := p.Next("<tool_call>{\"name\": ..")
//	pieces = p.End()
//
// What looks like a call and is none stays text, letter by letter: nothing that a model wrote is lost.
package calls

import (
	"slices"
	"strings"
)

// Piece is a part of an answer: exactly one field is set.
type Piece struct {
	Text      string
	Reasoning string
	Call      *Call
}

// Call is a call of a tool, whole.
type Call struct {
	Name      string
	Arguments string // a JSON object
}

// Format is how a family of models writes.
type Format struct {
	Name     string
	Template []string // words of a chat template that tell the family; any list of them, all of its words
	Special  []string // special tokens that it is made of: the reader has to see them in the text
	Open     []string // begin a call or several; none: the whole answer is one, if it begins like Bare
	Close    string   // ends them; "": the end of the answer
	Bare     []string // an answer that begins so is calls without Open
	parse    func(body string) ([]Call, bool)
	think    [2]string        // round reasoning; zero: <think> and </think>
	custom   func() segmenter // a format that is more than calls between marks
}

// formats are all, those first whose templates have the more telling words.
var formats = []*Format{
	&harmony, &deepSeek, &kimi, &miniMax, &seed, &qwenCoder, &glm, &hunyuan, &hermes, &mistral, &command, &phi4, &granite, &llama4, &llama3,
}

// Names are those of all formats.
func Names() (names []string) {
	for _, f := range formats {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// Named returns a format, nil if there is none of that name.
func Named(name string) *Format {
	for _, f := range formats {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// ForTemplate returns the format of the family that a chat template is of, nil if it shows none.
func ForTemplate(template string) *Format {
	for _, f := range formats {
		all := len(f.Template) > 0
		for _, word := range f.Template {
			all = all && strings.Contains(template, word)
		}
		if all {
			return f
		}
	}
	return nil
}
