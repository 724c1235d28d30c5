"""What everybody is told who meets the service: in its OpenAPI document, and with each result."""

NOTICE = (
    "This service analyses the expressions of faces. Whoever uses it tells the people concerned, "
    "at the latest when they first meet it (EU AI Act, Article 50(3)); at work and in education it "
    "is prohibited, except for medical or safety reasons (Article 5(1)(f)). An expression is not a "
    "determination of what a person feels."
)
