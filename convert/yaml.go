package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"qpt/internal/strictjson"
)

// isYAML tells by its name whether a recipe file is YAML; the others are JSON.
func isYAML(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yaml" || ext == ".yml"
}

// yamlToJSON returns JSON that says what a YAML document says, line by line:
// what stands in line n of the one stands in line n of the other, so that all
// else is checked, and said, of the JSON. Keys that appear twice do so in both.
//
// YAML readers disagree about much. Taken is what they read alike: a scalar
// without quotes is a number, true, false or null where it is that in JSON, and
// digit for digit; it is text where YAML has no other type for it; the rest (010,
// 0x10, .5, True, 2026-01-31) is an error, and so are anchors, aliases, tags and a second document.
func yamlToJSON(data []byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("yaml is not valid UTF-8")
	}
	if at := unusual.FindIndex(data); at != nil {
		return nil, yamlError(strictjson.Line(data, at[0]), "character %+q is not taken: write it as an escape in double quotes", data[at[0]:at[1]])
	}
	l, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, err
	}
	var doc, next yaml.Node
	if err = l.Load(&doc); err == io.EOF {
		return nil, errors.New("the document is empty")
	}
	if err == nil {
		err = l.Load(&next)
	}
	if e := (*yaml.LoadError)(nil); errors.As(err, &e) && e.Mark.Line > 0 {
		return nil, yamlError(e.Mark.Line, "yaml: %s", e.Message)
	}
	switch {
	case err == nil:
		return nil, yamlError(next.Line, "a second document begins: a file has one")
	case err != io.EOF:
		return nil, err
	}
	w := yamlWriter{line: 1}
	err = w.node(&doc, false)
	return w.out, err
}

// recipeYAML returns YAML that yamlToJSON turns into the same value as data.
func recipeYAML(data []byte) ([]byte, error) {
	data = unusual.ReplaceAllFunc(data, func(c []byte) []byte { return fmt.Appendf(nil, `\u%04x`, []rune(string(c))[0]) })
	var doc yaml.Node // JSON is YAML
	if err := yaml.Load(data, &doc); err != nil {
		return nil, err
	}
	plain(&doc)
	text, err := yaml.Dump(&doc, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if unusual.Match(text) {
		return yaml.Dump(&doc, yaml.WithIndent(2), yaml.WithLineWidth(-1), yaml.WithUnicode(false))
	}
	return text, err
}

// unusual are characters that YAML forbids, or that are line breaks to some of its readers.
var unusual = regexp.MustCompile("[\x00-\x08\v\f\x0e-\x1f\x7f-\u009f\u2028\u2029\ufeff\ufffe\uffff]")

// plain takes braces and quotes away, as far as they can go; lists of scalars stay in a line.
func plain(n *yaml.Node) {
	list := n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode })
	if n.Style = 0; list {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		plain(c)
	}
}

// yamlWriter writes the nodes of a YAML document as JSON.
type yamlWriter struct {
	out  []byte
	line int // that the next byte stands in
}

func yamlError(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
}

// node writes n: a key of a mapping, or any value.
func (w *yamlWriter) node(n *yaml.Node, key bool) error {
	for ; w.line < n.Line; w.line++ {
		w.out = append(w.out, '\n')
	}
	switch {
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return yamlError(n.Line, "anchors and aliases are not taken: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		return yamlError(n.Line, "tags are not taken: remove %.40q", n.Tag)
	case n.Kind == yaml.DocumentNode:
		return w.node(n.Content[0], false)
	case n.Kind == yaml.ScalarNode:
		return w.scalar(n, key)
	case key:
		return yamlError(n.Line, "a key is a list or mapping: keys are text")
	}
	brackets, separators := "[]", ",,"
	if n.Kind == yaml.MappingNode {
		brackets, separators = "{}", ",:"
	}
	w.out = append(w.out, brackets[0])
	for i, c := range n.Content {
		if i > 0 {
			w.out = append(w.out, separators[i%2])
		}
		if err := w.node(c, brackets == "{}" && i%2 == 0); err != nil {
			return err
		}
	}
	w.out = append(w.out, brackets[1])
	return nil
}

func (w *yamlWriter) scalar(n *yaml.Node, key bool) error {
	switch text := n.Value; {
	case key || n.Style != 0 || n.ShortTag() == "!!str":
		quoted, err := json.Marshal(text) // without line breaks
		if err != nil {
			return err
		}
		w.out = append(w.out, quoted...)
	case json.Valid([]byte(text)):
		w.out = append(w.out, text...)
	case n.ShortTag() == "!!null":
		w.out = append(w.out, "null"...)
	default:
		return yamlError(n.Line, "%.40q means something else to other readers: write numbers, true and false as in JSON, put text in quotes", text)
	}
	return nil
}
