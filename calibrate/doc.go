// Package calibrate finds better integers for a model's weights and
// activations from sample data.
package calibrate
