package export

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"qpt/internal/num"
)

// The JSON of schema 8, as far as it is needed.

type model struct {
	Module struct {
		Graph     graphDoc
		Signature struct {
			Inputs  []map[string]specDoc `json:"input_specs"`
			Outputs []map[string]specDoc `json:"output_specs"`
		}
	} `json:"graph_module"`
	Schema struct{ Major, Minor int } `json:"schema_version"`
}

type graphDoc struct {
	Inputs  []arg
	Outputs []arg
	Nodes   []node
	Values  map[string]tensorMeta `json:"tensor_values"`
}

type specDoc struct {
	Arg        json.RawMessage
	Parameter  string `json:"parameter_name"`
	Buffer     string `json:"buffer_name"`
	Constant   string `json:"tensor_constant_name"`
	Persistent *bool
}

type node struct {
	Target   string
	Name     string
	Inputs   []namedArg
	Outputs  []arg
	Metadata map[string]string
}

type namedArg struct {
	Name string
	Arg  arg
}

// module is the dotted name of the module that the node belongs to.
func (n *node) module() string {
	stack := strings.Split(n.Metadata["nn_module_stack"], ";")
	fields := strings.SplitN(stack[len(stack)-1], ",", 3)
	if len(fields) < 2 {
		return ""
	}
	return fields[1]
}

// arg is a union: an object of one key.
type arg struct {
	kind string
	raw  json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *arg) UnmarshalJSON(data []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if len(m) != 1 {
		return fmt.Errorf("an argument with the keys %q, must have one", slices.Sorted(maps.Keys(m)))
	}
	for a.kind, a.raw = range m {
	}
	return nil
}

type tensorRecord struct {
	Path   string     `json:"path_name"`
	Pickle bool       `json:"use_pickle"`
	Meta   tensorMeta `json:"tensor_meta"`
}

type tensorMeta struct {
	DType   int
	Sizes   []symInt
	Strides []symInt
	Offset  symInt `json:"storage_offset"`
	Layout  int
}

// symInt is {"as_int": n} or {"as_expr": ..}.
type symInt struct {
	Int  *json.Number `json:"as_int"`
	Expr *struct {
		Text string  `json:"expr_str"`
		Hint *symInt `json:"hint"` // when exported
	} `json:"as_expr"`
}

// number is the integer, -1 for an expression or what is none.
func (s symInt) number() int {
	if s.Int == nil {
		return -1
	}
	n, err := s.Int.Int64()
	if err != nil {
		return -1
	}
	return int(n)
}

// dtypes are the schema's numbers of types.
var dtypes = map[int]struct {
	size    int
	integer bool
	decode  func(b []byte) float64
}{
	1:  {1, true, func(b []byte) float64 { return float64(b[0]) }},
	2:  {1, true, func(b []byte) float64 { return float64(int8(b[0])) }},
	3:  {2, true, func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) }},
	4:  {4, true, func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) }},
	5:  {8, true, func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) }},
	6:  {2, false, func(b []byte) float64 { return float64(num.FromF16(binary.LittleEndian.Uint16(b))) }},
	7:  {4, false, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }},
	8:  {8, false, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }},
	12: {1, true, func(b []byte) float64 { return float64(min(b[0], 1)) }},
	13: {2, false, func(b []byte) float64 { return float64(num.FromBF16(binary.LittleEndian.Uint16(b))) }},
}
