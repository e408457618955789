"""Drawing of the starter library's pictures: a canvas, small pictures, and page layouts."""
