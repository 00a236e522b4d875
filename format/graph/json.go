package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"qpt/internal/strictjson"
)

// Marshal verifies g and returns its JSON form. The same graph gives the same bytes.
func Marshal(g *Graph) ([]byte, error) {
	if err := g.Verify(); err != nil {
		return nil, err
	}
	c := *g
	// null is not part of the form
	c.Symbols = append([]string{}, g.Symbols...)
	c.Inputs = append([]Value{}, g.Inputs...)
	c.Params = append([]Param{}, g.Params...)
	data, err := json.Marshal(c)
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("%d bytes of JSON, at most %d", len(data), MaxBytes)
	}
	if err != nil {
		return nil, errf("%w", err)
	}
	return data, nil
}

// Unmarshal reads the JSON form and verifies the graph. It is strict: unknown
// or repeated keys, unknown ops, null, wrong types and trailing data are
// errors that name the culprit and match ErrGraph; unknown keys and ops match ErrNewer too.
func Unmarshal(data []byte) (*Graph, error) {
	if len(data) > MaxBytes {
		return nil, errf("%d bytes of JSON, at most %d", len(data), MaxBytes)
	}
	if err := (strictjson.Rules{PlainKeys: true, NoNull: true, MaxValues: maxValues}).Check(data); err != nil {
		if errors.Is(err, strictjson.ErrUnknownField) {
			err = fmt.Errorf("%w: %w", err, ErrNewer)
		}
		return nil, errf("%w", err)
	}
	g := new(Graph)
	if err := unmarshal(data, g); err != nil {
		return nil, errf("%w", err)
	}
	if err := g.Verify(); err != nil {
		return nil, err
	}
	return g, nil
}

func unmarshal(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err != nil && strings.HasPrefix(err.Error(), "json: unknown field ") { // package json has no type for it
		err = fmt.Errorf("%w: %w", err, ErrNewer)
	}
	return err
}

func decode[T Op](attrs []byte) (Op, error) {
	var op T
	err := unmarshal(attrs, &op)
	return op, err
}

// node is the JSON form of Node.
type node struct {
	Name   string          `json:"name"`
	Op     string          `json:"op"`
	Attrs  json.RawMessage `json:"attrs,omitempty"`
	In     []string        `json:"in"`
	Params []string        `json:"params,omitempty"`
	Out    []string        `json:"out"`
}

// MarshalJSON implements json.Marshaler.
func (n Node) MarshalJSON() ([]byte, error) {
	attrs, err := json.Marshal(n.Op)
	if err != nil {
		return nil, err
	}
	if string(attrs) == "{}" {
		attrs = nil
	}
	return json.Marshal(node{n.Name, n.Op.Kind(), attrs, append([]string{}, n.In...), n.Params, n.Out})
}

// UnmarshalJSON implements json.Unmarshaler; unknown ops and attributes are errors.
func (n *Node) UnmarshalJSON(data []byte) error {
	var j node
	if err := unmarshal(data, &j); err != nil {
		return err
	}
	decode, ok := kinds[j.Op]
	if !ok {
		return fmt.Errorf("node %q: op %q is unknown: %w", j.Name, j.Op, ErrNewer)
	}
	if j.Attrs == nil {
		j.Attrs = json.RawMessage("{}")
	}
	op, err := decode(j.Attrs)
	if err != nil {
		return fmt.Errorf("node %q: %s: %w", j.Name, j.Op, err)
	}
	*n = Node{j.Name, op, j.In, j.Params, j.Out}
	return nil
}
