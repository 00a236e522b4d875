package report

import (
	_ "embed"
	"html/template"
	"io"
)

// Networks is the comparison of files of networks on tensors with the FP32 results in each of them.
type Networks struct {
	Schema  int        `json:"schema"` // 1
	Command string     `json:"command"`
	Tool    string     `json:"tool"`
	Models  []*Network `json:"models"`
}

// Network is one file of it.
type Network struct {
	File       string    `json:"file"`
	Name       string    `json:"name"`
	Parameters int64     `json:"parameters"`
	Bytes      int64     `json:"bytes"`
	Scheme     string    `json:"scheme"`
	Bits       Number    `json:"bits_per_weight"`
	Tool       string    `json:"tool"`
	Settings   []Setting `json:"settings"`
	*Outputs
}

// Outputs is what is known of a network's accuracy.
type Outputs struct {
	Outputs []Output `json:"outputs"`
	Left    []string `json:"not_compared"` // outputs of integers
}

// Output is one output on some rows of the calibration data.
type Output struct {
	Output string  `json:"output"`
	Rows   int     `json:"rows"`
	Values int     `json:"values"`                   // of a row
	Kept   int     `json:"values_compared"`          // of a row
	Top1   *Number `json:"top1_agreement,omitempty"` // of [rows, classes]
	KL     *Number `json:"kl_mean,omitempty"`
	Least  Number  `json:"cosine_least"` // of a row
	Distance
}

//go:embed network.html
var networkText string

var networkPage = template.Must(template.Must(page.Clone()).New("network").Parse(networkText))

// NetworksHTML writes the page.
func NetworksHTML(w io.Writer, d *Networks) error { return networkPage.Execute(w, d) }
