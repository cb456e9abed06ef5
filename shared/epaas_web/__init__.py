"""What the HTTP services of this project do alike: errors, bodies and representations. Knows no service's business."""
